const omitted = new Set(["level", "time", "pid", "msg"]);

/** One line of the log as people read it: time, level, message, then the rest as JSON. */
export function humanLine(json: string): string {
  const line = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.fromEntries(Object.entries(line).filter(([key]) => !omitted.has(key)));
  const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : "";
  return `${text(line["time"]).slice(11, 23)} ${text(line["level"]).padEnd(5)} ${text(line["msg"])}${more}\n`;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
