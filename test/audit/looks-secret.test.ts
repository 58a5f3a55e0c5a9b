import { describe, expect, it } from "vitest";
import { looksSecret } from "../../src/audit/looks-secret.js";

describe("a name looks like a secret's", () => {
  it.each(["provisioningSecret", "passwordHash", "PASSWD", "passphrase", "door_passcode", "apiToken", "pincode"])(
    "wherever in it %s has the word",
    (name) => {
      expect(looksSecret(name)).toBe(true);
    },
  );

  it.each(["cvv", "cardCVC", "card_cvv2", "userOTPCode", "totp_seed", "pwdHash", "ssn", "employee-ssn"])(
    "where a word of %s is one",
    (name) => {
      expect(looksSecret(name)).toBe(true);
    },
  );

  it.each(["name", "rootPath", "footprint", "hotplate", "missing", "iban", "keyboard", "passenger"])(
    "and %s doesn't",
    (name) => {
      expect(looksSecret(name)).toBe(false);
    },
  );
});
