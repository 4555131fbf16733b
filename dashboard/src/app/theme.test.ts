import { beforeEach, expect, it, vi } from "vitest";
import { applyTheme, storedTheme } from "./theme";

const systemIs = (dark: boolean) => vi.stubGlobal("matchMedia", () => ({ matches: dark }));
const shown = () => document.documentElement.dataset.theme;

beforeEach(() => localStorage.clear());

it.each([
  [true, "dark"],
  [false, "light"],
])("follows the system (dark: %s)", (dark, theme) => {
  systemIs(dark);
  applyTheme("system");
  expect(shown()).toBe(theme);
});

it("shows what was chosen, whatever the system says", () => {
  systemIs(true);
  applyTheme("light");
  expect(shown()).toBe("light");
});

it("takes nothing for a theme that is none", () => {
  localStorage.setItem("winnow.theme", "pink");
  expect(storedTheme()).toBe("system");
});
