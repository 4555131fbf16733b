"""What the engine refuses to compute, and why.

::

    EngineError (ValueError)
    ├── InvalidInput      an argument outside its range: NaN, a negative count, counts above exposure, a level of 95
    ├── NotEnoughData     the arguments are fine, the data cannot bear the procedure yet
    ├── NoSupport         a logged policy never (or hardly ever) did what is asked about
    └── NotConverged      a sampler's diagnostics forbid reporting its draws

Every message ends by saying what to do.
"""


class EngineError(ValueError):
    """Base of everything the engine raises on purpose."""


class InvalidInput(EngineError):
    """An argument lies outside its documented range."""


class NotEnoughData(EngineError):
    """The procedure needs more data than the summary holds."""


class NoSupport(EngineError):
    """The log gives no support for the question asked of it."""


class NotConverged(EngineError):
    """A sampler's diagnostics forbid reporting its result."""
