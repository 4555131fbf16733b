// Where the built page lies: inside the package that serves it.
import { fileURLToPath } from "node:url";

export const output =
  process.env.WINNOW_DASHBOARD_OUT ?? fileURLToPath(new URL("../../app/operations/static/dashboard", import.meta.url));
