import { act, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Graph } from "@/graph";
import { App } from "./App";
import { Session } from "./session";

const opened = vi.hoisted(() => ({ keys: [] as string[], refuse: (): void => undefined, closed: 0 }));

vi.mock("@/graph/client", async (original) => ({
  ...(await original<object>()),
  openGraph: (key: string, onRefused: () => void): Partial<Graph> => {
    opened.keys.push(key);
    opened.refuse = onRefused;
    return { close: () => void (opened.closed += 1) };
  },
}));
vi.mock("./Shell", () => ({ Shell: ({ onForgetKey }: { onForgetKey: () => void }) => <button onClick={onForgetKey}>Leave</button> }));
vi.mock("@/graph/GraphProvider", () => ({ GraphProvider: ({ children }: { children: React.ReactNode }) => children }));

const answer = (status: number) => vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(new Response("{}", { status }))));

beforeEach(() => {
  sessionStorage.clear();
  opened.keys = [];
  opened.closed = 0;
});
afterEach(() => vi.unstubAllGlobals());

async function enter(key: string): Promise<void> {
  await userEvent.type(screen.getByLabelText("Key"), key);
  await userEvent.click(screen.getByRole("button"));
}

it("asks for a key, tries it, and keeps it for the tab", async () => {
  answer(200);
  render(<App session={new Session()} />);
  await enter(" wnw_good ");
  expect(await screen.findByText("Leave")).toBeTruthy();
  expect(sessionStorage.getItem("winnow-key")).toBe("wnw_good");
  expect(opened.keys).toEqual(["wnw_good"]);
});

it.each([
  [401, "not known"],
  [503, "could not be reached"],
])("keeps no key that is answered %d", async (status, words) => {
  answer(status);
  render(<App session={new Session()} />);
  await enter("wnw_bad");
  expect((await screen.findByRole("alert")).textContent).toContain(words);
  expect(sessionStorage.length).toBe(0);
});

it("does not ask for a key that the tab has", () => {
  sessionStorage.setItem("winnow-key", "wnw_kept");
  render(<App session={new Session()} />);
  expect(screen.queryByLabelText("Key")).toBeNull();
  expect(opened.keys).toEqual(["wnw_kept"]);
});

it("forgets the key and closes the graph when its user leaves", async () => {
  sessionStorage.setItem("winnow-key", "wnw_kept");
  render(<App session={new Session()} />);
  await userEvent.click(screen.getByText("Leave"));
  expect(screen.getByLabelText("Key")).toBeTruthy();
  expect([sessionStorage.length, opened.closed]).toEqual([0, 1]);
});

it("asks for another key where this one is no longer accepted", () => {
  sessionStorage.setItem("winnow-key", "wnw_revoked");
  render(<App session={new Session()} />);
  act(() => opened.refuse());
  expect(screen.getByRole("alert").textContent).toContain("no longer accepted");
  expect(sessionStorage.length).toBe(0);
});
