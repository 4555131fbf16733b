import { expect, it } from "vitest";
import { choice, choices, readAddress, text, writeAddress } from "./address";

const FILTERS = { status: choices(["ACTIVE", "ENDED"]), search: text(), interval: choice(["DAY", "WEEK"], "DAY") };

it("reads filters, and defaults where there are none", () => {
  expect(readAddress(FILTERS, "?status=ENDED&search=vip")).toEqual({ status: ["ENDED"], search: "vip", interval: "DAY" });
});

it("reads nothing that is not among the options", () => {
  expect(readAddress(FILTERS, "?status=GONE&interval=YEAR")).toEqual({ status: [], search: "", interval: "DAY" });
});

it("writes what changes, leaves the rest, and leaves out defaults", () => {
  expect(writeAddress(FILTERS, { status: ["ACTIVE", "ENDED"], interval: "DAY" }, "?interval=WEEK&other=1")).toBe(
    "other=1&status=ACTIVE&status=ENDED",
  );
});
