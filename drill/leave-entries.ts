import type { Api } from "../scratch/api.js";
import type { Deployment } from "../scratch/deployment.js";
import { tokenMaker } from "../scratch/tokens.js";
import { attempt, type Attempt, type Wish } from "./attempt.js";
import { queryOf } from "./mutations.js";

/** Some of everything that the log can hold, as clients of the API leave it. */
export async function leaveEntries({ settings }: Deployment, api: Api): Promise<Attempt[]> {
  const mint = await tokenMaker(settings.keyFolder);
  const admin = await mint("admin", "north", "ADMIN");
  const member = await mint("member", "north", "MEMBER");
  const attempts: Attempt[] = [];
  const send = async (operation: string, input: Wish["input"], token = admin): Promise<string> => {
    const wish = { operation, input, query: queryOf(operation), tenantId: "north", token };
    const made = await attempt(api.origin, wish, { run: 0, client: 0 });
    attempts.push(made);
    const row = made.told?.data?.[operation] as { readonly id?: string } | null | undefined;
    return row?.id ?? "";
  };
  const device = await send("createDevice", { serialNumber: "SN-1", name: "Sensor", provisioningSecret: "canary-1" });
  await send("updateDevice", { id: device, name: "Sensor, renamed" });
  await send("createDevice", { serialNumber: "SN-1", name: "taken" });
  await send("createDevice", { serialNumber: "SN-2", name: "refused" }, member);
  await send("createDevice", { serialNumber: "SN-4", name: "Sensor, left alone" });
  await send("deleteDevice", { id: await send("createDevice", { serialNumber: "SN-3", name: "Sensor, gone" }) });
  const chat = await send("createChat", { title: "Plans" });
  await send("createChat", { title: "Plans, below", parentChatId: chat });
  await send("archiveChats", { ids: [chat] });
  const group = await send("createGroup", { name: "Research" });
  await send("upsertGroupBudget", { groupId: group, spendLimitMicros: "500000000" });
  await send("upsertGroupBudget", { groupId: group, spendLimitMicros: "50000000" });
  return attempts;
}
