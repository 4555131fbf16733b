import type { ReactNode } from "react";

type Cell = string | number | boolean | null | undefined;

/** A column of a table: its plain value (which is what CSV gets), and how it is shown. */
export interface Column<Row> {
  name: string;
  value: (row: Row) => Cell;
  show?: (row: Row) => ReactNode;
  numeric?: boolean;
  /** On a phone, left out. */
  minor?: boolean;
}

export interface Table<Row> {
  columns: readonly Column<Row>[];
  rows: readonly Row[];
}

interface DataTableProps<Row> extends Table<Row> {
  caption: string;
  keyOf?: (row: Row, index: number) => string | number;
}

/** A table with a caption for those who cannot see it; its first column heads the rows. */
export function DataTable<Row>({ caption, columns, rows, keyOf = (_, index) => index }: DataTableProps<Row>) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={classOf(column)}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={keyOf(row, index)}>{columns.map((column, place) => cell(column, row, place))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function cell<Row>(column: Column<Row>, row: Row, place: number) {
  const content = column.show ? column.show(row) : String(column.value(row) ?? "–");
  return place === 0 ? (
    <th key={column.name} scope="row" className={classOf(column)}>
      {content}
    </th>
  ) : (
    <td key={column.name} className={classOf(column)}>
      {content}
    </td>
  );
}

const classOf = ({ numeric, minor }: { numeric?: boolean; minor?: boolean }) =>
  [numeric && "numeric", minor && "minor"].filter(Boolean).join(" ") || undefined;

const SPECIAL = /[",\r\n]/;
const FORMULA = /^[=+\-@\t\r]/;

/** A table's plain values as CSV (RFC 4180); text that a spreadsheet would run as a formula is quoted with a '. */
export function csvOf<Row>({ columns, rows }: Table<Row>): string {
  const lines = [columns.map(({ name }) => name), ...rows.map((row) => columns.map(({ value }) => value(row)))];
  return lines.map((cells) => cells.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function csvCell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = FORMULA.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return SPECIAL.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
