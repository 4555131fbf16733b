import { useEffect, useState } from "react";

export type Theme = "system" | "light" | "dark";

const STORED = "winnow.theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

const isTheme = (value: string | null): value is Theme => value !== null && value in NEXT;

export function storedTheme(): Theme {
  const value = localStorage.getItem(STORED);
  return isTheme(value) ? value : "system";
}

/** Show a theme: the tokens follow the root element's data-theme, which is always light or dark. */
export function applyTheme(theme: Theme): void {
  const dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

/** The chosen theme, and what goes on to the next one. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(storedTheme);
  useEffect(() => {
    applyTheme(theme);
    const system = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => applyTheme(theme);
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, [theme]);
  const choose = () => {
    const next = NEXT[theme];
    localStorage.setItem(STORED, next);
    setTheme(next);
  };
  return [theme, choose];
}
