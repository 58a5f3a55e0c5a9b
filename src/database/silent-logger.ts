import type { Logger } from "typeorm";

const nothing = (): void => undefined;

/** TypeORM prints some things whatever `logging` says, statements with their parameters among them. */
export const silentLogger: Logger = {
  logQuery: nothing,
  logQueryError: nothing,
  logQuerySlow: nothing,
  logSchemaBuild: nothing,
  logMigration: nothing,
  log: nothing,
};
