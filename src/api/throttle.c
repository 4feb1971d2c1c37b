#include "api/core_priv.h"

#include <string.h>

typedef struct {
  double left;
  gint64 at_us;
} Allowance;

struct _MnkThrottle {
  GHashTable *addresses; /* text of the address to Allowance */
  Allowance others;      /* of all addresses for which there is no room */
  guint addresses_max;
  double burst, per_s;
};

MnkThrottle *mnk_throttle_new(guint addresses_max, double burst, double per_s) {
  MnkThrottle *throttle = g_new0(MnkThrottle, 1);
  throttle->addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  throttle->addresses_max = addresses_max;
  throttle->burst = burst;
  throttle->per_s = per_s;
  throttle->others.left = burst;
  return throttle;
}

void mnk_throttle_free(MnkThrottle *throttle) {
  if (throttle == NULL)
    return;
  g_hash_table_unref(throttle->addresses);
  g_free(throttle);
}

guint mnk_throttle_size(const MnkThrottle *throttle) {
  return g_hash_table_size(throttle->addresses);
}

/* Whoever has one IPv6 address usually has the whole /64. Caller frees. */
static char *name_of(const char *address) {
  g_autoptr(GInetAddress) inet = g_inet_address_new_from_string(address);
  if (inet == NULL || g_inet_address_get_family(inet) != G_SOCKET_FAMILY_IPV6)
    return g_strdup(address);
  return mnk_hex(g_inet_address_to_bytes(inet), 8);
}

static void refill(const MnkThrottle *throttle, Allowance *allowance, gint64 now_us) {
  double seconds = (double)MAX(now_us - allowance->at_us, 0) / 1e6;
  allowance->left = MIN(throttle->burst, allowance->left + seconds * throttle->per_s);
  allowance->at_us = now_us;
}

gboolean mnk_throttle_is_spent(MnkThrottle *throttle, const char *address, gint64 now_us) {
  g_autofree char *name = name_of(address);
  Allowance *allowance = g_hash_table_lookup(throttle->addresses, name);
  if (allowance == NULL && g_hash_table_size(throttle->addresses) >= throttle->addresses_max)
    allowance = &throttle->others;
  if (allowance == NULL)
    return FALSE;
  refill(throttle, allowance, now_us);
  return allowance->left < 1;
}

/* What is full again holds no memory of anything. */
static void sweep(MnkThrottle *throttle, gint64 now_us) {
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, throttle->addresses);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    refill(throttle, value, now_us);
    if (((Allowance *)value)->left >= throttle->burst)
      g_hash_table_iter_remove(&iter);
  }
}

static Allowance *find_or_make(MnkThrottle *throttle, const char *address, gint64 now_us) {
  g_autofree char *name = name_of(address);
  Allowance *allowance = g_hash_table_lookup(throttle->addresses, name);
  if (allowance != NULL)
    return allowance;
  if (g_hash_table_size(throttle->addresses) >= throttle->addresses_max)
    sweep(throttle, now_us);
  if (g_hash_table_size(throttle->addresses) >= throttle->addresses_max)
    return &throttle->others;
  allowance = g_new0(Allowance, 1);
  *allowance = (Allowance){.left = throttle->burst, .at_us = now_us};
  g_hash_table_insert(throttle->addresses, g_steal_pointer(&name), allowance);
  return allowance;
}

void mnk_throttle_spend(MnkThrottle *throttle, const char *address, gint64 now_us) {
  Allowance *allowance = find_or_make(throttle, address, now_us);
  refill(throttle, allowance, now_us);
  allowance->left = MAX(allowance->left - 1, 0);
}
