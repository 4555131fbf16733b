import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@/components/tokens.css";
import "@/components/components.css";
import "./shell.css";
import { App } from "./App";
import { Session } from "./session";
import { applyTheme, storedTheme } from "./theme";

applyTheme(storedTheme());

// After an upgrade the server no longer has the old chunks: one reload brings the new page.
addEventListener("vite:preloadError", (event) => {
  const reloaded = sessionStorage.getItem("winnow.reloaded");
  if (reloaded && Date.now() - Number(reloaded) < 60_000) return;
  sessionStorage.setItem("winnow.reloaded", String(Date.now()));
  event.preventDefault();
  location.reload();
});

const session = new Session();
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App session={session} />
    </StrictMode>,
  );
}
