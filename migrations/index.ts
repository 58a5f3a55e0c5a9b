import { Roles1795219201000 } from "./1795219201000-roles.js";
import { Identifiers1795219202000 } from "./1795219202000-identifiers.js";
import { Entry1795219203000 } from "./1795219203000-entry.js";
import { Guards1795219204000 } from "./1795219204000-guards.js";
import { Partitions1795219205000 } from "./1795219205000-partitions.js";
import { EventTriggers1795219206000 } from "./1795219206000-event-triggers.js";
import { BusinessSchema1795219207000 } from "./1795219207000-business-schema.js";
import { Device1795219208000 } from "./1795219208000-device.js";
import { Chat1795219209000 } from "./1795219209000-chat.js";
import { Group1795219210000 } from "./1795219210000-group.js";
import { Fence1795219211000 } from "./1795219211000-fence.js";
import { FenceEventTriggers1795219211500 } from "./1795219211500-fence-event-triggers.js";
import { LostCommits1795219212000 } from "./1795219212000-lost-commits.js";
import { Declarations1795219213000 } from "./1795219213000-declarations.js";
import { Session1795219214000 } from "./1795219214000-session.js";
import { Reports1795219215000 } from "./1795219215000-reports.js";
import { CountedNumbers1795219216000 } from "./1795219216000-counted-numbers.js";
import { SharpS1795219217000 } from "./1795219217000-sharp-s.js";
import { LooksByIndex1795219218000 } from "./1795219218000-looks-by-index.js";
import { OwnSessions1795219219000 } from "./1795219219000-own-sessions.js";

/** Every migration, in the order in which it runs. */
export const migrations = [
  Roles1795219201000,
  Identifiers1795219202000,
  Entry1795219203000,
  Guards1795219204000,
  Partitions1795219205000,
  EventTriggers1795219206000,
  BusinessSchema1795219207000,
  Device1795219208000,
  Chat1795219209000,
  Group1795219210000,
  Fence1795219211000,
  FenceEventTriggers1795219211500,
  LostCommits1795219212000,
  Declarations1795219213000,
  Session1795219214000,
  Reports1795219215000,
  CountedNumbers1795219216000,
  SharpS1795219217000,
  LooksByIndex1795219218000,
  OwnSessions1795219219000,
];
