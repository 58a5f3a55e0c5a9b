import type { Express } from "express";

export function graphiqlIsInstalled(): boolean {
  return false;
}
export function graphiql(_app: Express): void {
  return;
}
