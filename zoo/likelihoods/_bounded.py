# The smallest scale that a learned-scale family takes, in nats: exp(-6) = 0.0025 is below one grey level of
# 256.
LOG_SCALE_MIN = -6.0
