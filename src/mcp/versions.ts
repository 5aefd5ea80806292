/** Revisions of the protocol. A test compares the list with the SDK's. */

/** Those with sessions, newest first. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']

export const LATEST_LEGACY = '2025-11-25'
