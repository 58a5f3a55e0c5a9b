/** What was thrown, as an error whatever it is. Not for who may not see what it prints. */
export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
