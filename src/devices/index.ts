import type { Feature } from "../feature.js";
import { device } from "./device.audit.js";
import { Device } from "./device.entity.js";
import { DeviceResolver } from "./device.resolver.js";

/** Devices, and when they were last heard of. */
export const devices: Feature = { entities: [Device], resources: [device], resolvers: [DeviceResolver] };
