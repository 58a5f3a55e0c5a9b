const nil = "00000000-0000-0000-0000-000000000000";
const uuid = "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50";

/** As JSON text: what stands in any one field, whatever its type. */
export const hostile: readonly string[] = [
  ...[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "2147483648",
    "9007199254740993",
    "18446744073709551616",
    "1e21",
    "1e400",
    "-0",
  ],
  ...["[]", "[[]]", "[null]", "{}", '{"__proto__":{"a":1}}', '{"constructor":{"prototype":1}}', '{"a":1,"a":2}'],
  `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`,
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\u0001\u001b[2J",
    "\u202eabc\u202c",
    "\ufeff",
    "\uffff",
    "\u{10ffff}",
    "e\u0301",
    "\u0301",
  ]
    .concat(["👩‍👩‍👧‍👦", "שלום עולם", "x".repeat(300), "\ufe0f".repeat(300), "%s%n$1${}", "'; drop table app.chat; --"])
    .concat(["NaN", "Infinity", "0x10", "1e3", "+1", " 1", "01", "9223372036854775808", "null", "$platform", "ACTIVE"])
    .concat([nil, uuid, uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll("-", ""), `urn:uuid:${uuid}`, `${uuid}\n`])
    .concat(["2026-02-30T00:00:00Z", "2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
    .map((value) => JSON.stringify(value)),
  String.raw`"\ud800"`,
  String.raw`"\udc00x"`,
  String.raw`"a\ud800\ud800"`,
];
