import "reflect-metadata";
import { openDatabases } from "../src/database.js";
import { features } from "../src/features.js";
import { provisionFences } from "../src/provision/fences.js";

/** Makes the fences of the application's tables, as a start with the migrating login does. */
export async function fence(adminUrl: string): Promise<void> {
  const databases = await openDatabases(
    { apiUrl: adminUrl, readerUrl: adminUrl },
    { entities: features.flatMap(({ entities }) => [...entities]), onError: () => undefined },
  );
  try {
    const resources = features.flatMap((feature) => [...feature.resources]);
    await provisionFences(adminUrl, resources, databases.write, 0);
  } finally {
    await databases.close();
  }
}
