"""The array types of the engine's signatures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.int64]
type BoolArray = NDArray[np.bool_]
type NumberArray = NDArray[np.integer[Any] | np.floating[Any] | np.bool_]
