"""LMDeploy's pipeline in this process, TurboMind or PyTorch: token ids and tiles go in, never messages."""
