import type { Express } from "express";

export function graphiql(_app: Express): void {
  return;
}
