import pytest
import torch


@pytest.fixture
def seeded():
    """PyTorch's own generator begins at 0, and is as before afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
