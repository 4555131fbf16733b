import { screen } from "@testing-library/react";
import { useQuery } from "urql";
import { expect, it } from "vitest";
import { Answer } from "@/components";
import { Refusal, renderWithGraph, UNREACHABLE, WAITING } from "@/testing/graph";

function Thing() {
  const [result] = useQuery<{ thing: string }>({ query: "query Thing { thing }" });
  return <Answer of={result}>{(data) => <p>{data.thing}</p>}</Answer>;
}

const shown = (answer: unknown) => renderWithGraph(<Thing />, { answers: { Thing: answer } });

it("shows data", () => {
  shown({ thing: "there it is" });
  expect(screen.getByText("there it is")).toBeTruthy();
});

it("shows that something is on its way", () => {
  shown(WAITING);
  expect(screen.getByRole("status").textContent).toContain("Loading");
});

it.each([
  [UNREACHABLE, "cannot be reached"],
  [new Refusal("NOT_ALLOWED"), "may not see this"],
  [new Refusal("NOT_FOUND", "There is no 'x'."), "There is no 'x'."],
  [new Refusal("INTERNAL_ERROR", "Internal error 17."), "Internal error 17."],
])("says why there is nothing: %s", (answer, words) => {
  shown(answer);
  expect(screen.getByRole("alert").textContent).toContain(words);
});
