import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@/components/tokens.css";
import "@/components/components.css";
import "./shell.css";
import { App } from "./App";
import { Session } from "./session";
import { applyTheme, storedTheme } from "./theme";

applyTheme(storedTheme());

const session = new Session();
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App session={session} />
    </StrictMode>,
  );
}
