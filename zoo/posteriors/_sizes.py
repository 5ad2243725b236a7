def check_latent_size(family: str, latent_size: int, least: int = 1) -> None:
    """Refuse a latent that the family has no distributions over."""
    if latent_size < least:
        raise ValueError(f"`{family}.num_params(latent_size={latent_size})`: pass latent_size >= {least}")
