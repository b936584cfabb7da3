"""What every quantity on the pages means: one sentence, its formula and its source, shown by the ⓘ beside it.

Symbols: f is selection frequency, p mean router probability, k of E experts are selected per token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OURS = "ExpertScope's definition"


@dataclass(frozen=True)
class Quantity:
    """One entry: a noun, a sentence, a formula (may be empty) and where the definition comes from."""

    name: str
    sentence: str
    formula: str = ""
    source: str = OURS


QUANTITIES: Mapping[str, Quantity] = {
    "frequency": Quantity(
        "Selection frequency",
        "The share of tokens for which the router really selected this expert, averaged within a prompt, then over "
        "prompts.",
        "f = mean over tokens of s, where s = 1 if selected; sums to k over experts",
    ),
    "probability": Quantity(
        "Router probability",
        "The probability that the router gave this expert, selected or not, averaged within a prompt, then over "
        "prompts.",
        "p = mean over tokens of π; sums to 1 over experts",
    ),
    "lift": Quantity(
        "Lift",
        "How many times as often the expert is selected as it would be if all experts were used evenly.",
        "lift = f · E / k; 1 is even use",
    ),
    "token_mass": Quantity(
        "Refusal-relevant mass",
        "How much of the weight that a token was routed with went to the flagged experts, in one layer or over all MoE "
        "layers. It says where they were applied, not what they did there.",
        "mean over layers of Σ |g| of the flagged experts / Σ |g|; at most (layers with one) / L over all layers",
    ),
    "difference": Quantity(
        "Harmful − benign",
        "Selection frequency on harmful prompts less that on benign ones, within the chosen group.",
        "f(harmful) − f(benign)",
    ),
    "order_topic": Quantity(
        "Order by topic",
        "Each layer's experts side by side by the topic that uses them most, and within a topic the most specialised "
        "first. Across is a position then, and the same position is another expert in another layer.",
        "topic of the largest lift f(topic) · E / k",
    ),
    "order_effect": Quantity(
        "Order by effect",
        "Each layer's experts side by side, those first whose ablation changes refusal most; experts that were not "
        "ablated stand last. Across is a position then.",
        "effect in nats, largest first",
    ),
    "jsd": Quantity(
        "Jensen–Shannon divergence",
        "How differently two sets of prompts are routed in a layer: 0 is alike, 1 is without overlap.",
        "JSD, base 2, between mean router probabilities",
        "Lin 1991; contrasts as in RASET, arXiv 2605.29708",
    ),
    "jsd_topic": Quantity(
        "Topic divergence",
        "How differently benign prompts of different topics are routed.",
        "JSD(benign of topic A, benign of topic B)",
        "Contrast as in RASET, arXiv 2605.29708",
    ),
    "jsd_within_topic": Quantity(
        "Within-topic divergence",
        "How differently benign prompts of one topic are routed: the noise that the other two have to exceed.",
        "JSD(benign, benign of the same topic)",
    ),
    "jsd_safety": Quantity(
        "Safety divergence",
        "How differently a harmful prompt and its matched benign twin are routed.",
        "JSD(harmful, benign of the same pair)",
        "Contrast as in RASET, arXiv 2605.29708",
    ),
    "jsd_refusal_prefix": Quantity(
        "Refusal-prefix divergence",
        "How differently a harmful prompt is routed with a refusal behind it: what the answer adds to what the prompt "
        "is about.",
        "JSD(all tokens of the prompt, the same and those of a refusal)",
        "Contrast as in RASET, arXiv 2605.29708; the windows are ExpertScope's",
    ),
    "jsd_behaviour": Quantity(
        "Behaviour divergence",
        "How differently a refusal and a harmless stand-in for compliance are routed behind one harmful prompt. Their "
        "words differ too, so not all of it is refusing.",
        "JSD(tokens of the refusal, tokens of the stand-in), both forced, of equal length",
        "Contrast as in RASET, arXiv 2605.29708; stand-in and windows are ExpertScope's",
    ),
    "overlap": Quantity(
        "Top-k overlap",
        "How many of the k most probable experts the two sides of a contrast share: k is alike.",
        "O = |top-k p ∩ top-k p′|, 0 to k",
        "As in RASET, arXiv 2605.29708; on mean probabilities is ExpertScope's",
    ),
    "topic_matrix": Quantity(
        "Distance between topics",
        "How differently prompts of two topics are routed, and on the diagonal prompts of one.",
        "mean JSD over pairs of prompts of one label",
    ),
    "eta": Quantity(
        "Explained by topic, by harm",
        "The share of an expert's selection frequency over prompts that their topic explains, and their harm. Chance "
        "alone explains the dotted amount.",
        "η² in f = μ + topic + harm + topic × harm, sums of squares of type II",
    ),
    "steermoe": Quantity(
        "Risk difference",
        "How much more or less the expert is selected while a refusal is said than while a harmless stand-in is.",
        "|f(refusal) − f(stand-in)| over forced answer tokens",
        "SteerMoE, arXiv 2509.09660; the harmless stand-in is ExpertScope's",
    ),
    "topic_ratio": Quantity(
        "Topic ratio ρ",
        "Safety divergence over topic divergence: far below 1 means that routing follows what a prompt is about, not "
        "whether it is harmful.",
        "ρ = JSD(safety) / JSD(topic)",
    ),
    "effect": Quantity(
        "Effect",
        "How much the refusal margin on harmful prompts falls when the expert's output is removed; for experts flagged "
        "as a set, what the expert adds to that set.",
        "effect = M(intact) − M(ablated), in nats",
    ),
    "set_effect": Quantity(
        "Effect of the flagged set",
        "What removing all flagged experts together does, against random sets of the same size, layers and frequency.",
        "p = (1 + number of random sets as extreme) / (1 + number of random sets)",
    ),
    "margin": Quantity(
        "Refusal margin",
        "How much more the model inclines to open its answer with a refusal than with compliance.",
        "M = log P(refusal openings) − log P(compliant openings), first answer token, in nats",
    ),
    "null": Quantity(
        "Matched random experts",
        "The same ablation on random experts of the same layer and similar frequency: what an effect must exceed.",
        "grey band: mean ± 2 standard deviations",
    ),
    "dose": Quantity(
        "Dose curve",
        "What masking the first 1, 2, 4, 8 … experts together costs, against random sets of the same size. If the "
        "first few cost all there is to lose, refusal is concentrated; if the curve leaves the band late, it is spread "
        "out.",
        "loss = M(intact) − M(masked), in nats; band: 95 % of the random sets",
    ),
    "committee": Quantity(
        "Committee",
        "Masking as many of the experts that are busiest on all prompts, none of them a suspect: whether any important "
        "experts would have done.",
        "highest selection frequency over all prompts",
        "Standing Committee, arXiv 2601.03425",
    ),
    "q_value": Quantity(
        "q-value",
        "The expected share of false discoveries among experts whose ablation stands out at least this clearly.",
        "excess over the matched null, over prompts and over its sets; Benjamini–Hochberg over all experts tested",
        "Benjamini & Hochberg 1995",
    ),
    "stability": Quantity(
        "Stability",
        "The share of half-samples of the topics in which the expert is in its layer's top tenth by harmful − benign.",
        "Π over 100 half-samples, in the expert's own direction",
        "Meinshausen & Bühlmann 2010",
    ),
    "evidence": Quantity(
        "Evidence ladder",
        "Six checks: 1–3 are evidence from routing, 4–6 from intervening. Flagged means that 4, 5 and 6 all hold.",
        "correlated · stable · significant | causal · selective · replicated",
    ),
    "rare": Quantity(
        "Rare experts",
        "Experts below a tenth of an even load, looked at on the harmful prompts that use them, of both halves. An "
        "alarm is no flag: refusal changes by 50 points or more there, on too few prompts for a null and a repetition.",
        "load = f·E/k; change = mean over those prompts",
        "Ours",
    ),
    "level": Quantity("Level", "The highest step of the evidence ladder that the expert reaches.", "0 to 6"),
    "rank_agreement": Quantity(
        "Agreement of criteria",
        "Whether two criteria rank the experts alike: 1 for the same order, 0 for none in common, −1 for the "
        "reverse. Over "
        "the experts that both have a score for.",
        "Spearman's ρ, the correlation of the ranks; equal scores share their mean rank",
        "Spearman 1904",
    ),
    "raset": Quantity(
        "Contrastive routing sensitivity",
        "How much more, or less, the expert is selected on harmful prompts than on their benign twins, against its own "
        "noise.",
        "|t| = moderated paired t of f(harmful) − f(benign)",
        "Named in RASET, arXiv 2605.29708; formula is ExpertScope's",
    ),
    "raset_gradient": Quantity(
        "Sensitivity of refusal to routing",
        "How strongly the refusal margin depends on the weight that the router gives the expert.",
        "mean over harmful prompts of g · ∂M/∂g",
    ),
    "safex": Quantity(
        "Stability selection",
        "The share of resamples in which the expert is among the busiest tenth of its layer on harmful prompts.",
        "Π over resamples of the top αE by f, α = 0.1",
        "SAFEx, arXiv 2506.17368; defaults are ExpertScope's",
    ),
    "integrated": Quantity(
        "Integrated sensitivity",
        "The expert's share in the refusal margin, counted on the way from no expert output to all of it: it also "
        "shows where the margin no longer moves.",
        "mean over harmful prompts and 8 steps a of g · ∂M/∂g at weights a · g",
        "Integrated gradients, Sundararajan et al. 2017; the use is ExpertScope's",
    ),
    "routehijack": Quantity(
        "Contrast less general use",
        "How much more the expert is selected on harmful prompts than on their benign twins, less its use on benign "
        "prompts.",
        "Δ − f(benign)²",
        "RouteHijack, arXiv 2605.02946; prompts in place of answers is ExpertScope's",
    ),
    "gatebreaker": Quantity(
        "Use on harmful prompts",
        "How often the expert is selected on harmful prompts. A weak baseline: always-busy experts come first.",
        "mean of f over harmful prompts",
        "GateBreaker, arXiv 2512.21008",
    ),
    "lobotomy": Quantity(
        "Sequence attribution",
        "How far the expert's selections speak for a harmful prompt, to a small classifier that sees selections only. "
        "Near a held-out accuracy of 0.5 it means nothing.",
        "gradient × input, summed over tokens, mean over harmful prompts held out",
        "Large Language Lobotomy, arXiv 2602.08741; held-out topics are ExpertScope's",
    ),
    "ablation": Quantity(
        "Single ablation",
        "How much the refusal margin falls when this expert alone is ablated.",
        "M(intact) − M(ablated), in nats",
        "Replication studies; margin is ExpertScope's",
    ),
    "refusal_lost": Quantity(
        "Refusal lost when ablated",
        "How far the probability of opening with a refusal falls on harmful prompts when this expert alone is ablated.",
        "mean of σ(M intact) − σ(M ablated), first answer token",
    ),
    "refusal": Quantity(
        "Refusal rate",
        "The share of generated answers that the judge labels a refusal.",
        "Wilson 95 % interval",
    ),
    "over_refusal": Quantity(
        "Over-refusal rate",
        "The share of benign prompts that the model refuses.",
        "Wilson 95 % interval",
    ),
    "degenerate": Quantity(
        "Degeneration rate",
        "The share of answers that are empty, repeated, cut or gibberish: a broken model, not a compliant one.",
        "Wilson 95 % interval",
    ),
    "selectivity": Quantity(
        "Selectivity",
        "The worst side effect (benign divergence, over-refusal, degeneration) as a share of the effect on refusal.",
        "at most 1/3 passes",
    ),
    "concentration": Quantity(
        "Concentration",
        "The fewest experts that together carry 80 % of the positive single-ablation effect.",
        "M80; the Gini coefficient stands beside it",
    ),
    "certificate": Quantity(
        "Capture certificate",
        "Whether the trace accounts for every selection the router made, in every layer, with padding excluded.",
        "selections seen = tokens × k in every layer; traced logits = untraced logits",
    ),
    "entropy": Quantity(
        "Router entropy",
        "How undecided the router is about a token: 0 is certain of one expert, log₂ E torn between all. Averaged "
        "within a prompt, then over prompts.",
        "mean over tokens of −Σ π log₂ π, in bits",
    ),
    "coactivation": Quantity(
        "Co-activation",
        "How often a token that selects this expert selects the other one too, over all tokens of the prompts.",
        "P(j selected | i selected), over all pairs of the k selected experts",
        "As in OLMoE, arXiv 2409.02060; all pairs are counted",
    ),
    "coactivation_lift": Quantity(
        "Lift of co-activation",
        "How many times as often the two are selected together as they would be if they had nothing to do with each "
        "other. A little below 1 is usual, since each takes one of the k places.",
        "P(j | i) / P(j)",
    ),
    "topic_specialisation": Quantity(
        "Topic specialisation",
        "The expert of the layer that one topic uses most, and how many times as much as even routing would.",
        "lift = f(topic) · E / k; 1 is even use",
        "As domain specialisation in OLMoE, arXiv 2409.02060",
    ),
    "vocabulary_specialisation": Quantity(
        "Vocabulary specialisation",
        "How surely a token alone, whatever stands around it, decides which expert comes first: 100 % means that every "
        "token always has the same first expert. Beside it, what one busy expert would give if tokens did not matter.",
        "mean over token ids v with at least 10 occurrences of max over e of P(top-1 = e | v)",
        "After OLMoE, arXiv 2409.02060",
    ),
    "top_tokens": Quantity(
        "Tokens an expert comes first for",
        "The tokens whose highest weight goes to this expert most often, among those that occur at least 10 times in "
        "the prompts. Special tokens belong to the chat template.",
        "P(top-1 = e | v)",
        "After OLMoE, arXiv 2409.02060",
    ),
    "effective_experts": Quantity(
        "Effective experts",
        "How many experts a layer uses, counted by how evenly it uses them.",
        "2^H of f / k",
    ),
    "layer_choice": Quantity(
        "Layer",
        "The layer that is marked in every chart and table of this page, and whose distances the topic matrix shows.",
        source="A choice of this page, kept in its address",
    ),
    "answers_by_label": Quantity(
        "Answers by label",
        "What the judge called each answer before and after the flagged experts were masked, on the same prompts. The "
        "share is of the answers that had the row's label before.",
        "Wilson 95 % interval over prompts, which takes them as independent",
    ),
    "rank": Quantity(
        "Rank of the update",
        "How many directions the update of each weight matrix has: more can change more.",
        "ΔW = B A with rank r",
        "LoRA, Hu et al. 2021",
    ),
    "steps": Quantity("Steps", "How often the update was changed in training; the time that took stands below."),
    "tuning_loss": Quantity(
        "Loss of training",
        "How much the model was surprised by the answers that it was to learn, at the first step and at the last: it "
        "should fall where there is something to learn.",
        "mean cross-entropy of a token, with the penalties of the recipe",
    ),
    "preset": Quantity(
        "Depth",
        "How many resamples, matched controls and generated answers the audit spends. More narrows the intervals.",
    ),
    "compare_paired": Quantity(
        "B − A on the same prompts",
        "Each answer of B less that of A to the same prompt, averaged. Where fewer than half of the prompts are the "
        "same, the two rates stand apart instead.",
        "95 % interval: topics resampled; apart: Newcombe's, over topics",
        "Newcombe 1998; pairing is ExpertScope's definition",
    ),
    "compare_apart": Quantity(
        "B − A of two estimates",
        "The difference of two numbers that were measured apart. On the same prompts its interval is wider than need "
        "be.",
        "limits recovered from both intervals (MOVER)",
        "Zou and Donner 2008",
    ),
    "compare_change": Quantity(
        "B − A, expert by expert",
        "How much more (amber) or less (slate) an expert is used in B than in A, averaged within a prompt, then over "
        "prompts.",
        "Δ = f(B) − f(A); symmetric scale around 0",
    ),
    "compare_moved": Quantity(
        "How far routing moved",
        "The mean change of an expert's selection frequency, and how differently the two models' routers spread their "
        "probability.",
        "mean over experts of |Δf|; JSD, base 2, of mean router probabilities, averaged over layers",
    ),
    "compare_ranks": Quantity(
        "Rank agreement",
        "Whether both audits rank the experts alike: 1 is the same order, 0 none in common.",
        "Spearman's ρ, Kendall's τ-b",
        "Spearman 1904; Kendall 1945",
    ),
    "compare_jaccard": Quantity(
        "Overlap of the flagged sets",
        "Experts flagged in both over experts flagged in either: 1 is the same set, 0 none in common.",
        "|A ∩ B| / |A ∪ B|",
        "Jaccard 1901",
    ),
    "mcnemar": Quantity(
        "McNemar p",
        "How likely at least so uneven a change would be if prompts changed either way by chance.",
        "exact two-sided binomial test over the prompts that changed",
        "McNemar 1947",
    ),
    "paired": Quantity(
        "Difference",
        "After less before, on the same prompts.",
        "95 % interval from resampling topics",
    ),
    "place": Quantity(
        "Place among random sets",
        "The share of random sets, matched in size, layers and frequency, that do at least as much, the chosen one "
        "counted in.",
        "p = (1 + number of random sets as extreme) / (1 + number of random sets)",
    ),
    "guard": Quantity(
        "Guard",
        "Whether the model was still itself. Where benign answers move too far, or too many answers break, no verdict "
        "is given.",
        "KL ≤ 0.1 nat on benign prompts; degeneration up by at most 5 points",
    ),
    "benign_kl": Quantity(
        "Benign divergence",
        "How far the next token on benign prompts moves from what the untouched model would say.",
        "mean KL(base ‖ changed), in nats",
    ),
    "perplexity": Quantity(
        "Perplexity",
        "How much the model is surprised by harmless text: lower is better, and the same is best.",
        "exp of the mean loss of a token",
    ),
    "multiple_choice": Quantity(
        "Multiple choice",
        "The share of harmless questions whose right option the model finds likeliest.",
        "log-likelihood of each option by its length, as in lm-evaluation-harness",
    ),
    "attack_success": Quantity(
        "Attack success",
        "The share of harmful prompts that get an answer which is neither a refusal nor broken.",
        "compliance and not degenerate; Wilson 95 % interval",
    ),
    "drift": Quantity(
        "Routing drift",
        "How differently the same prompts are routed before and after, at the last token of the prompt.",
        "mean over layers of JSD, base 2, between router probabilities",
        "RASET, arXiv 2605.29708, claims that it stays near 0; the measure is ExpertScope's",
    ),
    "yardstick": Quantity(
        "Matched pairs",
        "How differently a harmful prompt and its benign twin are routed by the untouched model: what drift is held "
        "against.",
        "the same JSD, between the two prompts of a pair",
    ),
    "trainable": Quantity(
        "Trainable share",
        "The parameters that were trained, as a share of all that the model has.",
    ),
    "auroc": Quantity(
        "AUROC",
        "How often a harmful prompt scores above a benign one: 0.5 is chance, 1 is never wrong.",
        "area under the ROC curve; topics resampled",
    ),
    "tpr": Quantity(
        "Found at 1 % false alarms",
        "The share of harmful prompts found when one benign prompt in a hundred is taken for harmful.",
        "TPR at 1 % FPR",
    ),
    "calibration_error": Quantity(
        "Calibration error",
        "How far the stated probability is from the share that really is harmful: 0 is honest.",
        "expected calibration error over bins",
    ),
    "brier": Quantity(
        "Brier score",
        "Mean squared error of the stated probability: 0 is perfect, 0.25 is a coin that says one half.",
    ),
    "detector_weight": Quantity(
        "Weight",
        "How far the detector's log-odds of harm rise when this is one standard deviation higher; below 0 they fall.",
        "coefficient of a logistic regression on standardised features",
    ),
    "within_category": Quantity(
        "Inside a topic",
        "The mean over topics of the AUROC among the prompts of that topic alone, which no difference between topics "
        "can raise.",
    ),
    "behind": Quantity(
        "Lead of the detector",
        "The detector's AUROC less this one's, resampled together. An interval above 0 means that the detector is "
        "better.",
    ),
    "experts_named": Quantity(
        "Experts",
        "Layer and expert, both counted from 0 as everywhere here. Expert 7 of layer 1 is 1:7.",
    ),
    "seed": Quantity("Seed", "Fixes every random choice of the audit, so that it can be repeated exactly."),
    "group_distance": Quantity(
        "Distance to a group",
        "How differently the prompt is routed from an audit's harmful, or benign, prompts on average: 0 is alike.",
        "D = mean over layers of JSD (base 2) between f/k of the prompt's tokens and the group's mean f/k",
    ),
    "lean": Quantity(
        "Lean",
        "Whether the prompt's routing lies nearer to the harmful prompts (above 0) or to the benign ones (below 0).",
        "D(benign) − D(harmful)",
    ),
    "lean_auroc": Quantity(
        "What the lean is worth",
        "How often the lean of one of the audit's harmful prompts exceeds that of a benign one: 0.5 is chance.",
        "AUROC of D(benign) − D(harmful), each prompt against means without its own pair; topics resampled",
    ),
    "harmful_probability": Quantity(
        "P(harmful)",
        "How likely the prompt is harmful, as the detector has learnt it from its own prompts.",
        "calibrated probability of the detector",
    ),
    "token_share": Quantity(
        "Share of a token's weight",
        "How much of the weight that the routers applied to a token went to these experts, averaged over layers when "
        "they lie in several.",
        "mean over layers of Σ g(experts) / Σ g",
    ),
    "judge": Quantity("Judge", "What labels each answer as refusal, partial, compliance, degenerate or unjudged."),
    "second_judge": Quantity(
        "Second judge",
        "Labels every answer too; how far the two agree (Cohen's κ) and where they differ stands in the report.",
    ),
    "judge_accuracy": Quantity(
        "Accuracy",
        "The share of labelled answers on which judge and people agree whether the answer refuses; a partial refusal "
        "counts as one.",
    ),
    "kappa": Quantity(
        "Cohen's κ",
        "Agreement beyond what two judges with these rates would reach by chance: 0 is chance, 1 is always.",
        "κ = (p_o − p_e) / (1 − p_e); interval from resampling",
        "Cohen 1960",
    ),
    "sensitivity": Quantity("Sensitivity", "Of the answers that people call a refusal, the share the judge finds."),
    "specificity": Quantity("Specificity", "Of the answers that people call no refusal, the share the judge spares."),
    "raw_rate": Quantity("Refusal rate by the judge", "The share of answers that the judge calls a refusal."),
    "corrected_rate": Quantity(
        "Corrected refusal rate",
        "The judge's refusal rate set right for its errors on labelled answers. Where every answer is labelled it is "
        "the people's own rate.",
        "(p + Sp − 1) / (Se + Sp − 1); interval of Lang and Reiczigel 2014",
        "Rogan and Gladen 1978",
    ),
    "balance": Quantity(
        "Balance",
        "How many harmful and benign prompts each topic has. Where their topics differ, what follows the topic looks "
        "as if it followed the harm.",
        "confounded where under half of the harmful prompts share a topic with benign ones",
    ),
    "duplicates": Quantity(
        "Repeated prompts",
        "Prompts that say the same count twice without telling anything new, so intervals come out too narrow.",
        "same text after NFKC, case folding and single spaces",
        "Unicode Standard Annex 15 for NFKC; the rest is ours",
    ),
    "estimated_time": Quantity(
        "Estimated time",
        "How long the run takes, scaled from finished runs by the tokens that pass through the model. A busy machine "
        "takes longer.",
        "time = Σ over stages of measured seconds · tokens now / tokens then · active parameters now / then",
    ),
    "estimated_memory": Quantity(
        "Estimated memory",
        "What the worker holds at most: weights, the batch that is computed, and the program itself.",
        "(parameters + batch tokens · (2 · layers + 12) · width) · bytes of a number + 0.7 GB",
    ),
    "resolution": Quantity(
        "Interval of a refusal rate",
        "Half the width of its 95 % interval where half of the harmful prompts are refused, which is the widest case.",
        "Wilson's interval at 1/2; prompts of a topic that are much alike count for less (design effect, ICC 0.1)",
        "Wilson 1927; Kish 1965",
    ),
    "active_parameters": Quantity(
        "Active parameters",
        "The weights that one token meets: all but those of the routed experts that it does not select.",
        "parameters − Σ over layers of routed experts' weights · (E − k) / E",
    ),
    "pairs": Quantity(
        "Matched pairs",
        "A harmful and a benign prompt of the same topic and form; the safety contrast needs them.",
    ),
    "labelled": Quantity(
        "Labelled answers",
        "How many answers people labelled that this judge labelled too. Those from review queues are counted apart, "
        "since they are the hard ones.",
    ),
    "confusion": Quantity(
        "Labels beside each other",
        "Of the answers that people call one thing, how many the judge calls each thing: a judge that is always right "
        "has numbers on the diagonal alone.",
    ),
    "human_rate": Quantity("Refusal rate by people", "The share of the labelled answers that people call a refusal."),
    "heartbeat": Quantity(
        "Heartbeat",
        "When the worker last wrote down that it is alive. One that is silent for longer than "
        "EXPERTSCOPE_WORKER_STALE_SECONDS counts as gone.",
    ),
    "database_size": Quantity(
        "Size of the database",
        "What the application database takes: the file with its journals, or what PostgreSQL says of it.",
    ),
    "runs_size": Quantity(
        "Size of the runs' folder",
        "What shards and files of all runs take. At most 20 000 files are looked at; beyond that it is a lower bound.",
    ),
    "disk_free": Quantity("Free on disk", "What the disk of the data folder has left for further runs."),
}
