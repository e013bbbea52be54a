"""The words of the family `notes`."""

# topic -> (subjects, predicates); every predicate of a topic fits every subject of it.
TOPICS = {
    "sport": (
        "the striker; the goalkeeper; our team; the referee; the swimmer; the runner; the coach; the cyclist; the "
        "boxer; the home side; the tennis player; the skier; the team captain; the rower; the high jumper; the "
        "sprinter; the youth team; the defender; the hockey team; the gymnast",
        "was cheered at the stadium; had a bad second half; left the pitch early; prepared for the final; trained "
        "before the match; was missing at the tournament; met the fans after the game; spoke about the last season; "
        "arrived late for training; got a medal; hopes for a better season; was tired after the warm-up; watched the "
        "cup final",
    ),
    "weather": (
        "the storm; the rain; the fog; the snow; the wind; the frost; the heat; the thunderstorm; the drizzle; the "
        "hail; the cold front; the shower; the blizzard; the mist; the sleet; the gale; the cloudburst; the dry "
        "spell; the sunshine; the cold air",
        "will last until evening; came from the north; was stronger than forecast; is expected in the hills; reached "
        "the coast at dawn; will ease by noon; surprised the forecasters; returns at the weekend; followed a mild "
        "night; kept us indoors; will be gone tomorrow; came with a warning; was over by sunset",
    ),
    "food": (
        "the dough; the sauce; the soup; the stew; the batter; the rice; the pasta; the filling; the broth; the "
        "cream; the pastry; the omelette; the marinade; the stuffing; the salad; the gravy; the pudding; the curry; "
        "the roast; the porridge",
        "needs more salt; has to simmer for an hour; is nearly ready to serve; is served with herbs; should rest in "
        "the fridge; was seasoned with pepper; must be stirred well; tastes best with butter; burns in a hot pan; is "
        "enough for four plates; was made from an old recipe; keeps for two days in a jar; was cooked by my aunt",
    ),
    "travel": (
        "the night train; the ferry; the flight; the airport bus; the hotel shuttle; the city tour; the cruise; the "
        "tram; the coach trip; the express; the sleeper train; the boat trip; the island ferry; the mountain "
        "railway; the return flight; the bus to the border; the guided tour; the steamboat; the minibus; the "
        "overnight coach",
        "was booked for two tourists; is delayed by an hour; stops near the old town; costs less in the low season; "
        "was full of holidaymakers; needs a ticket in advance; runs only in summer; departs after breakfast; reaches "
        "the border at night; is popular with backpackers; was cancelled at short notice; stops at the harbour; is "
        "cheaper without luggage",
    ),
}
OTHER_TOPICS = {
    "music": (
        "the violinist; the choir; the drummer; the pianist; the band; the orchestra; the singer; the guitarist; the "
        "conductor; the cellist; the trumpeter; the quartet; the soprano; the flautist; the organist; the brass "
        "band; the accordionist; the harpist; the rapper; the tenor",
        "rehearsed the second song; played an encore; gave a concert in the park; recorded a new album; missed a "
        "note; was nervous before the show; performed without a microphone; sold out the concert hall; started with "
        "a slow waltz; was applauded on stage; knows every melody by heart; practised the chorus; was asked for one "
        "more song",
    ),
    "health": (
        "the nurse; the surgeon; the dentist; the pharmacist; the midwife; the doctor; the paramedic; the therapist; "
        "the eye doctor; the specialist; the night nurse; the optician; the trainee nurse; the family doctor; the "
        "heart surgeon; the first aider; the lab assistant; the medical student; the chemist; the head nurse",
        "asked about the fever; wrote down the blood pressure; explained the side effects; ordered new bandages; "
        "spoke of a mild infection; changed the dose of the tablets; looked at the X-ray; advised rest and plenty of "
        "water; warned of the flu; checked the pulse twice; talked about the vaccine; waited for the blood test; "
        "treated a burn",
    ),
    "school": (
        "the teacher; the pupil; the whole class; the headmaster; the new pupil; the maths teacher; the student; the "
        "tutor; the professor; the class speaker; the history teacher; the lecturer; the examiner; the art teacher; "
        "the biology class; the exchange student; the schoolgirl; the schoolboy; the freshman; the substitute "
        "teacher",
        "asked about the homework; prepared for the exam; wrote on the blackboard; complained about the timetable; "
        "forgot the exercise book; talked through the whole lesson; was proud of the marks; read the essay aloud; "
        "stayed after the last bell; laughed at the spelling test; learned the poem by heart; went over the "
        "worksheet; was late for the lesson",
    ),
    "money": (
        "the bank; the investor; the customer; the accountant; the shareholder; the lender; the cashier; the tax "
        "office; the insurer; the broker; the landlord; the auditor; the treasurer; the pension fund; the borrower; "
        "the trader; the savings bank; the financial adviser; the start-up; the heir",
        "paid back the loan; asked about the interest rate; lost a fortune on shares; checked the account balance; "
        "expects higher taxes; counted the profit; worried about the debt; signed the loan agreement; sold the "
        "bonds; complained about the fees; put the cash into a safe; looked for cheaper credit; closed the account",
    ),
}

# language -> (subjects, predicates), all of everyday things.
LANGUAGES = {
    "English": (
        "my brother; the teacher; our neighbour; the old woman; the doctor; a young man; the baker; my aunt; the "
        "postman; the girl; your friend; the gardener; the captain; a tourist",
        "lives in a small house; has forgotten the key; reads the newspaper in the morning; wants to buy a new car; "
        "is waiting for the bus; drinks coffee without sugar; works on Saturdays too; sings under the shower; does "
        "not like cold water; comes home late; is looking for a good restaurant; sleeps with the window open; writes "
        "a long letter; knows the way to the station; bought three apples; lost the umbrella",
    ),
    "Spanish": (
        "mi hermano; la maestra; nuestro vecino; la señora mayor; el médico; un joven; el panadero; mi tía; el "
        "cartero; la niña; tu amigo; el jardinero; el capitán; un turista",
        "vive en una casa pequeña; ha olvidado la llave; lee el periódico por la mañana; quiere comprar un coche "
        "nuevo; está esperando el autobús; toma café sin azúcar; trabaja también los sábados; canta en la ducha; no "
        "quiere agua fría; llega tarde a casa; busca un buen restaurante; duerme con la ventana abierta; escribe una "
        "carta larga; conoce el camino a la estación; compró tres manzanas; perdió el paraguas",
    ),
    "French": (
        "mon frère; la maîtresse; notre voisin; la vieille dame; le médecin; un jeune homme; le boulanger; ma tante; "
        "le facteur; la fille; ton ami; le jardinier; le capitaine; un touriste",
        "habite une petite maison; a oublié la clé; lit le journal le matin; veut acheter une nouvelle voiture; "
        "attend le bus; boit du café sans sucre; travaille aussi le samedi; chante sous la douche; n'aime pas l'eau "
        "froide; rentre tard à la maison; cherche un bon restaurant; dort la fenêtre ouverte; écrit une longue "
        "lettre; connaît le chemin de la gare; a acheté trois pommes; a perdu le parapluie",
    ),
    "German": (
        "mein Bruder; die Lehrerin; unser Nachbar; die alte Frau; der Arzt; ein junger Mann; der Bäcker; meine "
        "Tante; der Briefträger; das Mädchen; dein Freund; der Gärtner; der Kapitän; ein Tourist",
        "wohnt in einem kleinen Haus; hat den Schlüssel vergessen; liest morgens die Zeitung; will ein neues Auto "
        "kaufen; wartet auf den Bus; trinkt Kaffee ohne Zucker; arbeitet auch am Samstag; singt unter der Dusche; "
        "mag kein kaltes Wasser; kommt spät nach Hause; sucht ein gutes Restaurant; schläft bei offenem Fenster; "
        "schreibt einen langen Brief; kennt den Weg zum Bahnhof; hat drei Äpfel gekauft; hat den Regenschirm "
        "verloren",
    ),
    "Italian": (
        "mio fratello; la maestra; il nostro vicino; la vecchia signora; il medico; un giovane; il fornaio; mia zia; "
        "il postino; la ragazza; il tuo amico; il giardiniere; il capitano; un turista",
        "vive in una piccola casa; ha dimenticato la chiave; legge il giornale la mattina; vuole comprare una "
        "macchina nuova; aspetta l'autobus; beve il caffè senza zucchero; lavora anche il sabato; canta sotto la "
        "doccia; non ama l'acqua fredda; torna tardi a casa; cerca un buon ristorante; dorme con la finestra aperta; "
        "scrive una lunga lettera; conosce la strada per la stazione; ha comprato tre mele; ha perso l'ombrello",
    ),
}
