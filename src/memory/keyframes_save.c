#include "memory/keyframes_priv.h"
#include "memory/tokens_priv.h"

static const char MAGIC[] = "MNKKEYFR";
enum { VERSION = 1 };

/* Where a recent frame is among the members; FALSE: nowhere any more. */
static gboolean find_member(const MnkKeyframes *keyframes, const MnkTokens *frame, guint *cluster,
                            guint *member) {
  for (guint i = mnk_keyframes_count(keyframes); i-- > 0;) {
    if (g_ptr_array_find(mnk_keyframes_cluster(keyframes, i)->members, frame, member)) {
      *cluster = i;
      return TRUE;
    }
  }
  return FALSE;
}

static void put_recent(const MnkKeyframes *keyframes, MnkBytesWriter *writer) {
  mnk_bytes_put_u32(writer, keyframes->recent->len);
  for (guint i = 0; i < keyframes->recent->len; i++) {
    const MnkTokens *frame = keyframes->recent->pdata[i];
    guint cluster, member;
    gboolean shared = find_member(keyframes, frame, &cluster, &member);
    mnk_bytes_put_u64(writer, g_array_index(keyframes->recent_ids, guint64, i));
    mnk_bytes_put_u8(writer, shared);
    if (shared) {
      mnk_bytes_put_u32(writer, cluster);
      mnk_bytes_put_u32(writer, member);
    } else {
      mnk_tokens_put(frame, writer);
    }
  }
}

/* So that out need not grow, and be copied, on the way. */
static void reserve(GByteArray *out, gsize bytes) {
  guint length = out->len;
  if (bytes < G_MAXUINT - length) {
    g_byte_array_set_size(out, length + (guint)bytes);
    g_byte_array_set_size(out, length);
  }
}

void mnk_keyframes_save(const MnkKeyframes *keyframes, GByteArray *out) {
  const MnkKeyframesConfig *config = &keyframes->config;
  MnkBytesWriter writer;
  reserve(out, mnk_keyframes_bytes(keyframes));
  mnk_bytes_begin(&writer, out, MAGIC, VERSION);
  mnk_bytes_put_u32(&writer, config->buffer_size);
  mnk_bytes_put_float(&writer, config->match_ratio);
  mnk_bytes_put_u32(&writer, config->frames_max);
  mnk_bytes_put_u32(&writer, config->long_max);
  mnk_bytes_put_u64(&writer, config->detail_bytes_max);
  mnk_bytes_put_u32(&writer, config->recent);
  mnk_bytes_put_u32(&writer, keyframes->dim);
  mnk_bytes_put_u64(&writer, keyframes->last_id);
  mnk_bytes_put_u64(&writer, keyframes->recalls);
  mnk_bytes_put_u32(&writer, keyframes->past->len);
  mnk_bytes_put_u32(&writer, keyframes->buffer->len);
  for (guint i = 0; i < mnk_keyframes_count(keyframes); i++)
    mnk_cluster_put(mnk_keyframes_cluster(keyframes, i), &writer);
  put_recent(keyframes, &writer);
  mnk_bytes_end(&writer);
}

static void get_config(MnkKeyframesConfig *config, MnkBytesReader *reader) {
  config->buffer_size = mnk_bytes_get_u32(reader);
  config->match_ratio = mnk_bytes_get_float(reader);
  config->frames_max = mnk_bytes_get_u32(reader);
  config->long_max = mnk_bytes_get_u32(reader);
  guint64 bytes = mnk_bytes_get_u64(reader);
  config->detail_bytes_max = (gsize)bytes;
  config->recent = mnk_bytes_get_u32(reader);
  mnk_bytes_check(reader,
                  config->buffer_size >= 1 && config->buffer_size <= MNK_KEYFRAMES_FRAMES_MAX);
  mnk_bytes_check(reader, config->long_max <= MNK_KEYFRAMES_CLUSTERS_MAX &&
                              config->recent <= MNK_KEYFRAMES_FRAMES_MAX);
}

static void get_clusters(MnkKeyframes *keyframes, MnkBytesReader *reader) {
  guint n_past = mnk_bytes_get_u32(reader), n_buffer = mnk_bytes_get_u32(reader);
  guint64 before = 0;
  mnk_bytes_check(reader, n_past <= keyframes->config.long_max &&
                              n_buffer <= keyframes->config.buffer_size);
  mnk_bytes_check(reader, keyframes->dim <= MNK_TOKENS_DIM_MAX);
  mnk_bytes_check(reader, n_past + n_buffer == 0 || (n_buffer > 0 && keyframes->dim > 0));
  for (guint i = 0; i < n_past + n_buffer && !reader->failed; i++) {
    gboolean past = i < n_past;
    MnkClusterState *cluster = mnk_cluster_get(reader, keyframes->dim);
    if (cluster == NULL)
      return;
    g_ptr_array_add(past ? keyframes->past : keyframes->buffer, cluster);
    keyframes->detail_bytes += mnk_cluster_member_bytes(cluster);
    mnk_bytes_check(reader, cluster->id > before && cluster->id <= keyframes->last_id &&
                                (cluster->running == NULL) == past);
    before = cluster->id;
  }
  mnk_bytes_check(reader, keyframes->detail_bytes <= keyframes->config.detail_bytes_max);
}

static MnkTokens *get_recent(const MnkKeyframes *keyframes, MnkBytesReader *reader) {
  if (mnk_bytes_get_u8(reader) == 0)
    return mnk_tokens_get(reader);
  guint index = mnk_bytes_get_u32(reader), member = mnk_bytes_get_u32(reader);
  if (!mnk_bytes_check(reader, !reader->failed && index < mnk_keyframes_count(keyframes)))
    return NULL;
  const MnkClusterState *cluster = mnk_keyframes_cluster(keyframes, index);
  if (!mnk_bytes_check(reader, member < cluster->members->len))
    return NULL;
  return mnk_tokens_ref(cluster->members->pdata[member]);
}

static void get_recents(MnkKeyframes *keyframes, MnkBytesReader *reader) {
  guint n = mnk_bytes_get_u32(reader);
  mnk_bytes_check(reader, n <= keyframes->config.recent);
  for (guint i = 0; i < n && !reader->failed; i++) {
    guint64 id = mnk_bytes_get_u64(reader);
    MnkTokens *frame = get_recent(keyframes, reader);
    if (frame == NULL)
      return;
    g_ptr_array_add(keyframes->recent, frame);
    g_array_append_val(keyframes->recent_ids, id);
    mnk_bytes_check(reader, mnk_tokens_dim(frame) == keyframes->dim);
  }
}

MnkKeyframes *mnk_keyframes_restore(const guint8 *bytes, gsize length, GError **error) {
  MnkBytesReader reader;
  if (!mnk_bytes_open(&reader, bytes, length, MAGIC, VERSION, "the key frames' snapshot", error))
    return NULL;
  MnkKeyframesConfig config = {0};
  get_config(&config, &reader);
  g_autoptr(MnkKeyframes) keyframes = mnk_keyframes_new(&config);
  keyframes->dim = mnk_bytes_get_u32(&reader);
  keyframes->last_id = mnk_bytes_get_u64(&reader);
  keyframes->recalls = mnk_bytes_get_u64(&reader);
  get_clusters(keyframes, &reader);
  if (!reader.failed)
    get_recents(keyframes, &reader);
  return mnk_bytes_close(&reader, error) ? g_steal_pointer(&keyframes) : NULL;
}
