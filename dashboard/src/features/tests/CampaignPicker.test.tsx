import { fireEvent, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { renderWithGraph } from "@/testing/graph";
import { CampaignPicker } from "./CampaignPicker";

const NODES = [
  { key: "spring", name: "Spring" },
  { key: "spring-again", name: "Spring again" },
];

function Picked() {
  const [key, setKey] = useState("");
  return <CampaignPicker value={key} problem={undefined} onChange={setKey} />;
}

const answers = {
  TestsCampaigns: ({ search }: { search?: string }) => ({ campaigns: { nodes: NODES.filter(({ key }) => key.includes(search ?? "")) } }),
};

it("finds campaigns while one types, and takes one by keyboard", async () => {
  renderWithGraph(<Picked />, { answers });
  const input = screen.getByRole("combobox", { name: "Campaign" });
  fireEvent.focus(input);
  fireEvent.change(input, { target: { value: "again" } });
  await waitFor(() => expect(screen.getAllByRole("option")).toHaveLength(1));
  fireEvent.change(input, { target: { value: "spring" } });
  await waitFor(() => expect(screen.getAllByRole("option")).toHaveLength(2));
  fireEvent.keyDown(input, { key: "ArrowDown" });
  expect(input.getAttribute("aria-activedescendant")).toBe(screen.getAllByRole("option")[1]?.id);
  fireEvent.keyDown(input, { key: "Enter" });
  expect(input).toHaveProperty("value", "spring-again");
  expect(screen.queryByRole("option")).toBeNull();
});

it("takes one by pointer, and none where one leaves", async () => {
  renderWithGraph(<Picked />, { answers });
  const input = screen.getByRole("combobox", { name: "Campaign" });
  fireEvent.focus(input);
  fireEvent.pointerDown(await screen.findByRole("option", { name: /Spring again/ }));
  expect(input).toHaveProperty("value", "spring-again");
  fireEvent.change(input, { target: { value: "" } });
  fireEvent.blur(input);
  expect(screen.queryByRole("option")).toBeNull();
});
