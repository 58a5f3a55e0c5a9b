import { randomBytes } from "node:crypto";
import type { Callers } from "./callers.js";
import type { Desk } from "./desk.js";
import { deviceCreated, deviceDay, deviceGone } from "./device-day.js";
import { chatDay } from "./chat-day.js";
import { budgetDay } from "./budget-day.js";

/** An admin's day: a device comes, a chat is kept, a group's budget goes up and down, and the device goes. */
export async function adminsDay(desk: Desk, callers: Callers): Promise<void> {
  // A serial number is taken once and for all while its device stands: each day has its own.
  const serialNumber = `DEMO-${randomBytes(4).toString("hex").toUpperCase()}`;
  const device = await deviceCreated(desk, callers, serialNumber);
  await deviceDay(desk, callers, serialNumber, device);
  await chatDay(desk, callers);
  await budgetDay(desk, callers);
  await deviceGone(desk, callers, serialNumber, device);
}
