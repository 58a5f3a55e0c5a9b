import { chats } from "./chats/index.js";
import { devices } from "./devices/index.js";
import type { Feature } from "./feature.js";
import { groups } from "./groups/index.js";
import { httpRequests } from "./http-requests/index.js";

/** A new audited resource is one folder and one line here. */
export const features: readonly Feature[] = [devices, chats, groups, httpRequests];
