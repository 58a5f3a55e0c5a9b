const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The UUID that says nobody: no id of ours, and refused by the log. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/** Whether a text has the form that PostgreSQL prints, in either case. */
export const isUuid = (text: string): boolean => form.test(text);
