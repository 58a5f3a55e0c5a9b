import { GraphQLError } from "graphql";

/** What graphql-js says before it quotes what it was given. */
const foreseen = [
  /^Expected (?:value of )?type "[^"]*"(?: to be an object)?/,
  /^Expected non-nullable type "[^"]*" not to be null/,
  /^Field "[^"]*" (?:of required type "[^"]*" was not provided|is not defined by type "[^"]*")/,
  /^(?:Enum "\w+"|\w+) cannot represent [\w -]*value/,
  /^Argument "\w+" (?:of (?:non-null|required) type "[^"]*" (?:must not be null|was not provided)|has (?:an )?invalid value)/,
];
const unknownEnumValue = /^Value "[\s\S]*" does not exist in ("\w+" enum)/;
const unsetVariable =
  /^(Argument "\w+" of required type "[^"]*" was provided the variable "\$\w+" which was not provided a runtime value)/;

/**
 * What is wrong with a value, in graphql-js's words but without the value itself: it may be a secret in the wrong place.
 * What one of our scalars says is added: they never quote.
 */
export function withoutValue(error: GraphQLError): string {
  const { message } = error;
  const unknown = unknownEnumValue.exec(message)?.[1];
  if (unknown !== undefined) return `Expected a value of the ${unknown}.`;
  const unset = unsetVariable.exec(message)?.[1];
  if (unset !== undefined) return `${unset}.`;
  const told = foreseen.map((form) => form.exec(message)?.[0]).find((match) => match !== undefined);
  const reason = error.originalError instanceof TypeError ? ` ${error.originalError.message}` : "";
  return `${told ?? "The value isn't valid"}.${reason}`;
}

/** A syntax error without the token that it quotes. */
export function withoutToken(message: string): string {
  return message.replace(/\b(Name|String|BlockString|Int|Float|Comment) ".*$/s, "$1.").replace(/: ["'\\].*$/s, ".");
}
