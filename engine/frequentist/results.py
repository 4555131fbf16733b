"""What the fixed-horizon procedures return."""

from dataclasses import dataclass
from enum import StrEnum

from engine.effects import Comparison


class FrequentistTest(StrEnum):
    """The family of the test that was used."""

    CHI_SQUARED = "chi_squared"
    FISHER_EXACT = "fisher_exact"
    WELCH_T = "welch_t"
    RATIO_Z = "ratio_z"


@dataclass(frozen=True, slots=True, kw_only=True)
class OmnibusResult:
    """Whether the variants differ at all.

    Attributes
    ----------
    test : the family of the test
    method : the very procedure, in words
    statistic : its statistic; None where the procedure has none
    degrees_of_freedom : of the statistic's reference distribution (the denominator's, for an F); None where it has none
    p_value : two-sided, in [0, 1]
    """

    test: FrequentistTest
    method: str
    statistic: float | None
    degrees_of_freedom: float | None
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequentistResult:
    """The omnibus test with every treatment's comparison to the control.

    Attributes
    ----------
    omnibus : whether the variants differ at all
    level : confidence level asked for
    significant : the omnibus p-value is below 1 - level
    comparisons : one a treatment, in the order of the summaries; intervals hold simultaneously at the level
        (Bonferroni), adjusted p-values are Holm's
    """

    omnibus: OmnibusResult
    level: float
    significant: bool
    comparisons: tuple[Comparison, ...]

    @property
    def test(self) -> FrequentistTest:
        """The family of the test that was used."""
        return self.omnibus.test

    @property
    def p_value(self) -> float:
        """The omnibus p-value, in [0, 1]."""
        return self.omnibus.p_value
