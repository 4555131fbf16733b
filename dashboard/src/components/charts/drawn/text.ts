/** Roughly how wide a text is at the charts' size; charts leave room by it. */
export const widthOf = (text: string): number => text.length * 6.9;

export const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map(widthOf));

/** A text cut to a width. */
export function fitted(text: string, width: number): string {
  const room = Math.floor(width / 6.9 + 0.01);
  return text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`;
}

export const COLORS = 6;
export const colorClass = (color = 0): string => `color-${color % COLORS}`;
