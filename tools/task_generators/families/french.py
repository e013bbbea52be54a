"""French: number of noun phrases, negation, and number of the subject. The instructions are in French too, and
ask in the words in which the other languages' families ask."""

import checks

from .phrases import Language, verb_table

# kind -> (masculine nouns, feminine nouns, adjectives in the masculine singular that suit all of them).
# No noun begins with a vowel or h, so that no article is shortened.
NOUNS = {
    "animals": (
        "chat chien cheval lapin mouton canard coq cochon lion tigre loup renard singe dauphin poisson papillon "
        "serpent crabe perroquet pigeon",
        "vache chèvre poule grenouille tortue mouche fourmi baleine girafe mouette panthère taupe chouette libellule "
        "coccinelle",
        "noir blanc gris brun rapide calme sauvage tranquille fatigué perdu blessé féroce curieux docile",
    ),
    "people": (
        "médecin professeur boulanger facteur peintre chanteur serveur voisin pompier jardinier coiffeur musicien "
        "cuisinier dentiste journaliste pianiste",
        "voisine chanteuse danseuse serveuse boulangère cuisinière directrice musicienne coiffeuse vendeuse nageuse "
        "caissière fermière romancière",
        "aimable célèbre fatigué content sérieux français timide généreux sympathique intelligent élégant honnête "
        "calme",
    ),
    "things": (
        "livre téléphone miroir couteau tableau vase fauteuil tiroir papier crayon stylo cahier tambour violon piano "
        "bateau camion train ballon marteau vélo rideau drapeau sac panier verre",
        "table chaise lampe bouteille boîte valise porte fenêtre carte guitare flûte cuillère tasse bicyclette moto "
        "voiture montre brosse corde fourchette clé pendule balle",
        "noir blanc vert rouge jaune bleu gris propre sale moderne fragile lourd cher neuf rond solide utile",
    ),
    "clothes": (
        "manteau chapeau gant pantalon foulard collier bonnet gilet pull blouson costume maillot tablier",
        "chemise jupe veste cravate casquette botte sandale robe ceinture chaussette bague chaussure blouse",
        "noir blanc vert rouge bleu gris neuf élégant cher sale propre moderne",
    ),
    "food": (
        "citron melon pain gâteau fromage poivron yaourt biscuit jambon bonbon navet champignon poireau concombre",
        "pomme poire carotte tomate soupe salade fraise cerise prune saucisse banane noisette pêche tarte crêpe",
        "frais cher délicieux sucré excellent léger froid parfait",
    ),
    "places": (
        "village parc jardin musée marché pont lac château port balcon restaurant cinéma théâtre quartier désert",
        "maison rue place ville plage montagne gare cuisine tour forêt bibliothèque pharmacie boulangerie cathédrale "
        "chambre",
        "moderne calme célèbre propre sale tranquille immense lointain charmant superbe bruyant sombre",
    ),
}

DETERMINERS = {
    "m": {"le": "les", "un": "des", "ce": "ces"},
    "f": {"la": "les", "une": "des", "cette": "ces"},
}
FEMININES = {"blanc": "blanche", "neuf": "neuve", "frais": "fraîche", "cher": "chère", "léger": "légère"}


def feminine(adjective):
    if adjective in FEMININES:
        return FEMININES[adjective]
    if adjective.endswith("eux"):
        return adjective[:-1] + "se"
    return adjective if adjective.endswith("e") else adjective + "e"


def plural(word):
    """-x after -eau, -aux for -al, nothing after s or x, else -s."""
    if word[-1] in "sx":
        return word
    if word.endswith("al"):
        return word[:-1] + "ux"
    return word + ("x" if word.endswith("eau") else "s")


# Third person singular, all of verbs in -er, then what may follow: no indefinite article, which a negation changes.
VERBS = verb_table("""
chante: à la fenêtre / dans la rue / très bien
danse: dans la cuisine / le samedi / avec la voisine
travaille: à la banque / le dimanche / dans le jardin
achète: le journal / la voiture rouge / les billets
mange: à midi / la soupe / avec les enfants
regarde: la télévision / le ciel / par la fenêtre
écoute: la radio / le professeur / les nouvelles
parle: au médecin / avec le voisin / trop vite
marche: dans le parc / sur la plage / très lentement
joue: aux cartes / avec le chien / au tennis
habite: à Lyon / près de la mer / à la campagne
ferme: la porte / les yeux / la fenêtre
lave: la vaisselle / la voiture / le linge
nettoie: la cuisine / les vitres / le bureau
prépare: le repas / la valise / le café
cherche: les clés / la sortie / le chat
trouve: la solution / le chemin / les lunettes
donne: la main / le livre au voisin / la réponse
porte: la valise / le chapeau noir / les lunettes
pose: la question / le verre sur la table / le sac
montre: la photo / le chemin / les dessins
raconte: la même histoire / le voyage / la vérité
demande: le prix / la route / le menu
visite: le musée / la ville / le château
voyage: en train / la nuit / avec la famille
arrive: à neuf heures / à la gare / par le bateau
monte: dans le bus / à la tour / par la colline
entre: dans la salle / par la porte bleue / au cinéma
rentre: à la maison / le soir / par le pont
reste: au lit / à la maison / dans la cour
quitte: la ville / le bureau / la fête
traverse: la rue / le pont / la rivière
plante: les fleurs / le cerisier / les tomates
coupe: le pain / les cheveux / la ficelle
cuisine: le dimanche / avec la grand-mère / pour les invités
goûte: la sauce / le fromage / le gâteau
dessine: le paysage / sur le mur / à la craie
copie: la phrase / le tableau / les exercices
répète: la leçon / le mot / la chanson
étudie: la médecine / le soir / les plantes
enseigne: la musique / au lycée / les mathématiques
aide: la voisine / au jardin / les enfants
invite: les amis / le directeur / la cousine
rencontre: le maire / les voisins / la chanteuse
salue: le gardien / la foule / de la main
embrasse: la grand-mère / le bébé / les enfants
appelle: la police / le médecin / le serveur
téléphone: à la banque / le soir / au bureau
paie: la facture / le loyer / les billets
compte: les pièces / jusqu'à cent / les moutons
gagne: le match / la course / le premier prix
dépense: tout le salaire / trop vite / la monnaie
oublie: le parapluie / la date / les clés
pense: aux vacances / à la mer / au travail
rêve: de la montagne / en français / du voyage
aime: la musique / le chocolat / les chats
déteste: le bruit / la pluie / les lundis
préfère: le thé / la plage / les romans
accepte: le cadeau / les excuses / la proposition
refuse: le dessert / la proposition / les conseils
signe: le contrat / la lettre / les papiers
envoie: la lettre / le paquet / les photos
garde: le secret / la monnaie / les enfants
cache: le cadeau / la lettre / les bonbons
vole: les pommes / le tableau / la moto
casse: le vase / les assiettes / la glace
répare: le vélo / la montre / le toit
pousse: la porte / le chariot / la voiture
tire: la corde / les rideaux / le wagon
lève: la main / le verre / les bras
jette: les papiers / la balle / le vieux journal
ramasse: les feuilles / le ballon / les coquillages
range: la chambre / les livres / le placard
allume: la lampe / le four / la radio
arrose: les roses / le jardin / la pelouse
commence: à huit heures / la leçon / le travail
termine: le rapport / à midi / la course
loge: à la ferme / au premier étage / dans la tour
pleure: au cinéma / dans la nuit / de joie
crie: dans la rue / de peur / très fort
saute: dans la piscine / de joie / sur le lit
nage: dans le lac / le mardi / très loin
roule: vers la mer / trop vite / la nuit
skie: en janvier / avec la cousine / sur la piste noire
déjeune: à la cantine / à une heure / avec les collègues
dîne: au restaurant / à huit heures / avec la famille
fume: sur le balcon / après le dîner / devant la porte
respire: par le nez / avec calme / sous le masque
explique: la règle / le problème / les mots
""")

SUBJECTS = (
    "Anne Paul Claire Hugo Julie Marc Sophie Louis Emma Denis Alice Simon Chloé Martin Léa Nicolas".split()
    + ["Mon frère", "Ma sœur", "Le voisin", "La maîtresse", "Ton cousin", "La tante", "Le médecin", "Mon chef"]
)
SEVERAL = {"Il": "Ils", "Elle": "Elles", "Ce garçon": "Ces garçons", "Cette fille": "Ces filles"}


def negate(verb):
    return f"n'{verb} pas" if verb[0] in "aeiouéèêh" else f"ne {verb} pas"


LANGUAGE = Language("french", "fr", NOUNS, DETERMINERS, feminine, plural, VERBS)
TASKS = [
    LANGUAGE.plurals(
        instructions=[
            "Écris cette expression au pluriel.",
            "Mets les mots au pluriel.",
            "Passe du singulier au pluriel.",
            "Quel est le pluriel ?",
            "Donne la forme plurielle de ces mots.",
            "Mets l'expression au pluriel.",
        ],
        check=checks.french_plural,
    ),
    LANGUAGE.negations(
        instructions=[
            "Écris cette phrase à la forme négative.",
            "Mets la phrase à la forme négative.",
            "Nie cette phrase.",
            "Change la phrase d'affirmative en négative.",
            "Dis le contraire avec «ne … pas».",
            "Rends la phrase négative.",
        ],
        subjects=SUBJECTS,
        word="ne … pas",
        negate=negate,
        check=checks.french_negation,
        where="around",
    ),
    LANGUAGE.several(
        instructions=[
            "Mets le sujet et le verbe de cette phrase au pluriel.",
            "Change le sujet au pluriel.",
            "Écris la phrase avec ils, elles ou ces.",
            "Passe le sujet et le verbe au pluriel.",
            "Dis cette phrase de plusieurs personnes.",
            "Réécris la phrase avec le sujet au pluriel.",
        ],
        subjects=SEVERAL,
        plural=lambda verb: verb + "nt",
        check=checks.french_they,
    ),
]
