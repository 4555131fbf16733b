import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { Figure } from "./Figure";

const TABLE = { rows: [{ x: 0.125 }], columns: [{ name: "Rate", value: ({ x }: { x: number }) => x, show: () => "12.5%" }] };

afterEach(() => vi.restoreAllMocks());

it("hands out its plain values as CSV", async () => {
  const saved: Blob[] = [];
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => (saved.push(blob as Blob), "blob:x"));
  render(
    <Figure title="Rates" file="rates" table={TABLE}>
      drawing
    </Figure>,
  );
  await userEvent.click(screen.getByRole("button", { name: "CSV" }));
  expect(await saved[0]?.text()).toContain("Rate\r\n0.125\r\n");
});

it("shows as a table what it draws", async () => {
  render(
    <Figure title="Rates" file="rates" table={TABLE}>
      drawing
    </Figure>,
  );
  await userEvent.click(screen.getByRole("button", { name: "Table" }));
  expect(screen.queryByText("drawing")).toBeNull();
  expect(screen.getByRole("rowheader").textContent).toBe("12.5%");
});
