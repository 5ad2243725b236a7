"""What is kept on disk: saved trees, the checkpoints of a run, its history and its evaluation."""

from ._checkpoints import (
    Checkpoint as Checkpoint,
    checkpoints as checkpoints,
    load_newest as load_newest,
    run_lock as run_lock,
    save_checkpoint as save_checkpoint,
)
from ._evaluation import (
    add_evaluation as add_evaluation,
    complete_rows as complete_rows,
    group_rows as group_rows,
    read_evaluation as read_evaluation,
)
from ._file import write_atomically as write_atomically
from ._history import (
    append_rows as append_rows,
    cut_history as cut_history,
    read_history as read_history,
    sync_history as sync_history,
    write_history as write_history,
)
from ._names import SaveError as SaveError
from ._save import load as load, save as save
from ._text import write_json as write_json, write_text as write_text
