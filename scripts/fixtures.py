"""What the scripts share that make fixtures with PyTorch."""

import numpy as np
import torch


def short(value):
    """Tensors as lists, and every number in as few digits as its 32 bits need."""
    match value:
        case torch.Tensor():
            return short(value.detach().tolist())
        case dict():
            return {key: short(item) for key, item in value.items()}
        case list() | tuple():
            return [short(item) for item in value]
        case float():
            return float(str(np.float32(value)))
    return value


def single(numbers):
    """Rounded to 32 bits, in 64."""
    return torch.as_tensor(numbers).float().double()
