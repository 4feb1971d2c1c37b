/* Vectors of captions, for the search by meaning. A caption is embedded after its commit; while the
 * service is slow or away, captions go without. */
#include "api/streams_priv.h"

enum { WAITING_MAX = 256 };

typedef struct {
  MnkRegistry *registry;
  MnkStore *store;
  char *stream, *id;
} Embed;

static void embed_free(Embed *embed) {
  g_free(embed->stream);
  g_free(embed->id);
  g_free(embed);
}

static void embedded(const float *vector, guint n, const GError *error, gpointer user) {
  Embed *embed = user;
  if (vector != NULL)
    mnk_store_put_vector(embed->store, embed->stream, embed->id, vector, n);
  else
    mnk_warning("api", embed->stream, "event=not-embedded caption=%s reason=\"%s\"", embed->id,
                error->message);
  g_queue_remove(mnk_registry_embeds(embed->registry), embed);
  embed_free(embed);
}

void mnk_embed_caption(MnkEntry *entry, const MnkCaption *caption) {
  MnkApi *api = entry->api;
  if (api->embedder == NULL || mnk_caption_is_gap(caption))
    return;
  GQueue *waiting = mnk_registry_embeds(api->registry);
  if (waiting->length >= WAITING_MAX) {
    mnk_metric_add(mnk_counter("embeddings_skipped_total",
                               "Captions without a vector because too many waited.", NULL),
                   1);
    return;
  }
  Embed *embed = g_new0(Embed, 1);
  *embed = (Embed){api->registry, api->store, g_strdup(caption->stream), g_strdup(caption->id)};
  g_queue_push_tail(waiting, embed);
  mnk_embedder_text(api->embedder, caption->text, embedded, embed);
}

void mnk_embeds_cancel(MnkRegistry *registry, MnkEmbedder *embedder) {
  Embed *embed;
  while ((embed = g_queue_pop_head(mnk_registry_embeds(registry))) != NULL) {
    if (embedder != NULL)
      mnk_embedder_cancel(embedder, embed);
    embed_free(embed);
  }
}
