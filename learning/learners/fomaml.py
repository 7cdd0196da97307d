"""First-order MAML (arXiv 1703.03400, section 5.2): inner Hessians are left out."""

from twintier.learning.learners.maml import Maml


class Fomaml(Maml):
    """As MAML, without carrying gradients through the inner gradients: cheaper, and biased."""

    name = "fomaml"
    second_order = False
