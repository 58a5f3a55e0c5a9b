import type { Answer, TestServer } from "./server.js";

type Data = Record<string, { readonly id?: string } | null>;

/**
 * Runs every mutation of the schema, each as often as it has actions, as an admin; none may fail.
 *
 * @returns the answers, in order; each field is called by its mutation's name
 */
export async function runEveryMutation(server: TestServer, token: string): Promise<Answer<Data>[]> {
  const answers: Answer<Data>[] = [];
  const run = async (field: string): Promise<string> => {
    const answer = await server.request<Data>(`mutation { ${field} }`, { token });
    if (answer.errors) throw new Error(`${field} failed: ${JSON.stringify(answer.errors)}`);
    answers.push(answer);
    return Object.values(answer.data ?? {})[0]?.id ?? "";
  };
  const device = await run(`createDevice(input: { serialNumber: "SN-1", name: "kiosk" }) { id }`);
  await run(`updateDevice(input: { id: "${device}", name: "kiosk-2" }) { id }`);
  await run(`deviceHeartbeat(input: { id: "${device}" }) { id }`);
  await run(`deleteDevice(input: { id: "${device}" }) { id }`);
  const chat = await run(`createChat(input: { title: "Plans" }) { id }`);
  const child = await run(`createChat(input: { title: "Plans, below", parentChatId: "${chat}" }) { id }`);
  await run(`archiveChats(input: { ids: ["${chat}"] }) { id }`);
  for (const id of [chat, child]) await run(`updateChat(input: { id: "${id}", archived: false }) { id }`);
  await run(`updateChat(input: { id: "${chat}", archived: true }) { id }`);
  await run(`deleteChat(input: { id: "${chat}" }) { id }`);
  const group = await run(`createGroup(input: { name: "Research" }) { id }`);
  await run(`updateGroup(input: { id: "${group}", name: "Science" }) { id }`);
  const budget = (micros: string) =>
    `upsertGroupBudget(input: { groupId: "${group}", spendLimitMicros: ${micros} }) { groupId }`;
  await run(budget("500000000"));
  await run(budget("50000000"));
  await run(`deleteGroupBudget(input: { groupId: "${group}" }) { groupId }`);
  await run(budget("1"));
  await run(`deleteGroup(input: { id: "${group}" }) { id }`);
  return answers;
}
