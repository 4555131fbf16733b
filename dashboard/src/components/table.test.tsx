import { expect, it } from "vitest";
import { csvOf, type Table } from "./table";

const csv = (...names: (string | number | null)[]) => {
  const table: Table<{ name: string | number | null }> = { columns: [{ name: "Name", value: (row) => row.name }], rows: names.map((name) => ({ name })) };
  return csvOf(table);
};

it("quotes what needs it", () => expect(csv('a "b", c')).toBe('Name\r\n"a ""b"", c"\r\n'));
it("leaves numbers plain and what is missing empty", () => expect(csv(-0.25, null)).toBe("Name\r\n-0.25\r\n\r\n"));
it("disarms what a spreadsheet would run", () => expect(csv("=1+1")).toBe("Name\r\n'=1+1\r\n"));
it("leaves amounts of money alone", () => expect(csv("-12.50")).toBe("Name\r\n-12.50\r\n"));
