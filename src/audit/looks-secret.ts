/** Wherever in a name they stand. */
const unmistakable =
  /secret|passw(or)?d|passphrase|passcode|pincode|token|credential|(private|api|access|signing)_?key/i;
/** As words of their own alone: `otp` stands in "rootPath" too. */
const short: ReadonlySet<string> = new Set(["pwd", "otp", "totp", "cvv", "cvv2", "cvc", "cvc2", "ssn"]);

/**
 * Whether a field or column is named as what nobody should read in a log: a secret, password, passphrase, passcode,
 * token, credential, a private, API, access or signing key, a one-time password, a card's check number, a social security
 * number.
 *
 * @example
 * ["apiToken", "card_cvc", "rootPath", "name"].filter(looksSecret); // ["apiToken", "card_cvc"]
 */
export function looksSecret(name: string): boolean {
  return unmistakable.test(name) || wordsOf(name).some((word) => short.has(word));
}

/** The words of a name in camel or snake case, in lower case. */
const wordsOf = (name: string): string[] =>
  name
    .replace(/([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])/g, "$1$3_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
