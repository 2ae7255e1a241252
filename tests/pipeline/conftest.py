"""The tiny UNet and its graph, as for the tests of compute/unet."""

from tests.unet.conftest import graph as graph
from tests.unet.conftest import unet as unet
