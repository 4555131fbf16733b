"""What was sent, what came of it, and what should not have."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not have been answered: where, what kind, and what was sent."""

    door: str
    place: str
    kind: str
    example: str


@dataclass(slots=True)
class Findings:
    """All that was sent to the doors, counted, and what is wrong, each kind at each place once with how often."""

    cases: Counter[str] = field(default_factory=Counter[str])
    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    places: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: dict[tuple[str, str], Finding] = field(default_factory=dict)
    times: Counter[tuple[str, str]] = field(default_factory=Counter)

    def answered(self, door: str, place: str, outcome: str) -> None:
        """Count one case by its outcome."""
        self.cases[door] += 1
        self.answers[door][outcome] += 1
        self.places[place][outcome] += 1

    def never(self, *outcomes: str) -> list[str]:
        """Return the places where none of these outcomes was seen."""
        return [place for place, seen in self.places.items() if not any(seen[outcome] for outcome in outcomes)]

    def add(self, finding: Finding) -> None:
        """Note what is wrong; of the same kind at the same place, the shortest example."""
        place = (finding.place, finding.kind)
        self.times[place] += 1
        known = self.wrong.get(place)
        if known is None or len(finding.example) < len(known.example):
            self.wrong[place] = finding

    def told(self) -> str:
        """Return everything in words."""
        lines = [
            f"{door}: {count:,} cases ({', '.join(f'{name} {n:,}' for name, n in self.answers[door].most_common(12))})"
            for door, count in self.cases.items()
        ]
        lines += [f"never carried out: {place} ({dict(self.places[place])})" for place in self.never("done", "200")]
        for place, finding in self.wrong.items():
            lines += ["", f"{finding.door} {finding.place}, {self.times[place]:,} times: {finding.kind}"]
            lines += [f"    {finding.example[:2_000]}"]
        lines.append(f"{len(self.wrong)} kinds of wrong answers." if self.wrong else "Nothing wrong was answered.")
        return "\n".join(lines)
