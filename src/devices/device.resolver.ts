import { QueryFailedError, type EntityManager } from "typeorm";
import {
  AuditError,
  Audited,
  notFound,
  Requires,
  Unaudited,
  type AuditContext,
  type MutationContext,
} from "../audit/index.js";
import { Arg, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from "../graphql.js";
import { keysetPage, PageInfo, type Page } from "../page.js";
import { ownTenant } from "../tenant.js";
import { given, uuidArgument } from "../validation.js";
import { device } from "./device.audit.js";
import { Device } from "./device.entity.js";
import { CreateDeviceInput, DeleteDeviceInput, DeviceHeartbeatInput, UpdateDeviceInput } from "./device.inputs.js";

@ObjectType()
class DeviceConnection implements Page<Device> {
  @Field(() => [Device])
  nodes!: Device[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@Resolver(() => Device)
export class DeviceResolver {
  @Requires("ADMIN", "AUDITOR")
  @Query(() => Device, { nullable: true })
  device(@Arg("id", () => ID) id: string, @Ctx() context: AuditContext): Promise<Device | null> {
    return context.manager.findOneBy(Device, { tenantId: ownTenant(context), id: uuidArgument(id, "id") });
  }

  @Requires("ADMIN", "AUDITOR")
  @Query(() => DeviceConnection)
  devices(
    @Arg("first", () => Int, { defaultValue: 50 }) first: number,
    @Arg("after", () => String, { nullable: true }) after: string | null | undefined,
    @Ctx() context: AuditContext,
  ): Promise<DeviceConnection> {
    return keysetPage(context.manager, Device, { tenantId: ownTenant(context) }, { first, after });
  }

  @Audited({ resource: "device", action: "CREATE", id: "result.id" })
  @Requires("ADMIN")
  @Mutation(() => Device, { nullable: true })
  async createDevice(
    @Arg("input", () => CreateDeviceInput) input: CreateDeviceInput,
    @Ctx() context: MutationContext,
  ): Promise<unknown> {
    const values = { tenantId: ownTenant(context), ...given(input) };
    const { identifiers } = await context.manager.insert(Device, values).catch(refuseTakenSerialNumber);
    return identifiers[0];
  }

  @Audited({ resource: "device", action: "UPDATE", id: "input.id" })
  @Requires("ADMIN")
  @Mutation(() => Device, { nullable: true })
  async updateDevice(
    @Arg("input", () => UpdateDeviceInput) { id: _, ...input }: UpdateDeviceInput,
    @Ctx() { manager, prior }: MutationContext<Device>,
  ): Promise<unknown> {
    const changes = given(input);
    const { tenantId, id } = prior;
    if (Object.keys(changes).length > 0) await manager.update(Device, { tenantId, id }, changes);
    return prior;
  }

  @Audited({ resource: "device", action: "DELETE", id: "input.id" })
  @Requires("ADMIN")
  @Mutation(() => Device, { nullable: true, description: "The device as it last was." })
  async deleteDevice(
    @Arg("input", () => DeleteDeviceInput) _input: DeleteDeviceInput,
    @Ctx() { manager, prior }: MutationContext<Device>,
  ): Promise<unknown> {
    await manager.delete(Device, { tenantId: prior.tenantId, id: prior.id });
    return prior;
  }

  @Unaudited("Telemetry: it changes fields that no diff tracks.")
  @Requires("ADMIN")
  @Mutation(() => Device, { nullable: true })
  async deviceHeartbeat(
    @Arg("input", () => DeviceHeartbeatInput) { id, at }: DeviceHeartbeatInput,
    @Ctx() context: MutationContext,
  ): Promise<Device> {
    const key = { tenantId: ownTenant(context), id };
    await markSeen(context.manager, key, at ?? null);
    const seen = await context.manager.findOneBy(Device, key);
    if (!seen) throw notFound(device.type, id);
    return seen;
  }
}

/** Only forwards: heartbeats may arrive in any order. */
async function markSeen(
  manager: EntityManager,
  key: { readonly tenantId: string; readonly id: string },
  at: string | null,
): Promise<void> {
  await manager
    .createQueryBuilder()
    .update(Device)
    .set({ lastSeenAt: () => `greatest("last_seen_at", coalesce(cast(:at as timestamptz), clock_timestamp()))` })
    .where(key)
    .setParameter("at", at)
    .execute();
}

/** The database alone knows who came first: looking for the serial number beforehand would tell nothing. */
function refuseTakenSerialNumber(error: unknown): never {
  const { code } = error instanceof QueryFailedError ? (error.driverError as { code?: unknown }) : {};
  if (code !== "23505") throw error;
  throw new AuditError("CONFLICT", "Another device of this tenant has the serial number: send another one.", {
    cause: error,
  });
}
