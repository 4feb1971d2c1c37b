/* route: the routers that look at tokens. out: a score per cluster, as mnk_keyframes_get counts
 * them; clusters that are not wanted get -INFINITY. Keys are there (mnk_cluster_keys). */
#ifndef MNK_ROUTE_PRIV_H
#define MNK_ROUTE_PRIV_H

#include "memory/keyframes_priv.h"

/* Mean over query rows of the best cosine with a token of the cluster. */
void mnk_route_fine(MnkKeyframes *keyframes, const guint8 *wanted, const float *query, guint n,
                    float *out);
/* Each query row spreads an attention of 1 over the tokens of all wanted clusters, by a softmax of
 * cosines over tau; a cluster's score is the mean of what it gets. */
void mnk_route_cross(MnkKeyframes *keyframes, const guint8 *wanted, float tau, const float *query,
                     guint n, float *out);
void mnk_route_indexer(MnkKeyframes *keyframes, const MnkIndexer *indexer, const float *query,
                       guint n, float *out);

#endif
