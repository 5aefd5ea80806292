export async function demo(_options: unknown): Promise<number> {
  return 1
}
