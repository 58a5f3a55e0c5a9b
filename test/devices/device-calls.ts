import type { ResponseError, TestServer } from "../support/server.js";

export interface ReadDevice {
  readonly id: string;
  readonly tenantId: string;
  readonly serialNumber: string;
  readonly name: string;
  readonly status: string;
  readonly firmwareVersion: string | null;
  readonly lastSeenAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export const deviceFields = "id tenantId serialNumber name status firmwareVersion lastSeenAt createdAt updatedAt";

export interface DeviceAnswer {
  readonly device: ReadDevice | null;
  readonly error: ResponseError | undefined;
  readonly requestId: string;
}

export type DeviceMutation = "createDevice" | "updateDevice" | "deleteDevice" | "deviceHeartbeat";

/** Calls one of the mutations that answer a device. */
export async function callDevice(
  server: TestServer,
  token: string,
  mutation: DeviceMutation,
  input: Readonly<Record<string, unknown>>,
): Promise<DeviceAnswer> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { data, errors, requestId } = await server.request<Record<string, ReadDevice | null>>(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${deviceFields} } }`,
    { variables: { input }, token },
  );
  return { device: data?.[mutation] ?? null, error: errors?.[0], requestId };
}
