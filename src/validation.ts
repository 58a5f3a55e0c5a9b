import { isUUID, Length, ValidateIf } from "class-validator";
import { badUserInput } from "./audit/index.js";

/** For what may be absent but not null: what is absent stays, and null is an error. */
export const IfGiven = (): PropertyDecorator => ValidateIf((_, value: unknown) => value !== undefined);

/** For a name that people read: 1 to 200 characters. */
export const IsName = (): PropertyDecorator => Length(1, 200, { message: "must be 1 to 200 characters long" });

/** A query's id in the form that the database prints. @throws AuditError BAD_USER_INPUT where it is no UUID */
export function uuidArgument(value: string, field: string): string {
  if (!isUUID(value, "loose")) throw badUserInput([{ field, message: "must be a UUID" }]);
  return value.toLowerCase();
}

/** The members that an update gives a value; what is absent stays. */
export function given<Input extends object>(input: Input): Partial<Input> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Partial<Input>;
}
